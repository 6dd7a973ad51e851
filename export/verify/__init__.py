"""An export held against tf-slim and float32."""
