"""The API of uamqp 1.6. Programs reach it through the doors at its old names: `uamqp.client`, `uamqp.message`, ..."""
