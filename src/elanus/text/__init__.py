"""Text to tokens: tokenizers, filters, and the analyzers they make."""
