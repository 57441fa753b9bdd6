"""bucketry measured against other clients of S3, in turn, on one machine; see README.md."""
