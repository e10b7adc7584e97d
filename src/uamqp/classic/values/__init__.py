"""AMQP values as objects that know their type."""
