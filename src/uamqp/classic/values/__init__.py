"""AMQP values as objects that know their type, and checks of arguments."""
