"""Whether those who read a server's metrics find it."""
