"""AMQP values as objects that know their type; checks of arguments."""
