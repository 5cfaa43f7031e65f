"""Where a Step's work is done: in this process, in others, on a cluster."""
