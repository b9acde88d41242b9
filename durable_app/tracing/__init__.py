"""Spans through OpenTelemetry: the only package that imports it.

Importing its modules fails with ImportError where ``opentelemetry-api`` is not installed. Without
``opentelemetry-sdk`` contexts are handed on, and no span is made.
"""
