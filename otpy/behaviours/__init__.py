"""OTP's behaviours: gen_server, supervisor, sys (L3)."""
