"""Real nodes, real signals: what the mesh promises while processes stall, split and die."""
