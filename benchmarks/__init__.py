"""Measures bucketry and other S3 clients, in turn, on one machine; see README.md."""
