"""Milvus' gRPC protocol: transports, messages, and what each method means."""
