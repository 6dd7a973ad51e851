"""What can be asked of a model: each task is a flow of calls, which the clients drive in their own ways."""
