"""What is computed from fields and scores: rerankers, and the services they ask."""
