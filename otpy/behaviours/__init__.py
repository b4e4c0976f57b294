"""OTP's behaviours: gen_server, supervisor and the others (L3)."""
