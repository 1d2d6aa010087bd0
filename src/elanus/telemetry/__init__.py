"""What a running program says about itself: metrics and log lines."""
