"""State machines: a traffic light, and a circuit breaker."""
