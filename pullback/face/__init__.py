"""What users see on Tensor and in the namespaces besides the ops."""
