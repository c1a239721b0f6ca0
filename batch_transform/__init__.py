"""
What a caller must know about SageMaker Batch Transform.

The scripts and the Lambda share these rooms. Nothing here reads the environment, prints, or knows
the model: a value comes in as an argument, and a failure leaves as a BatchTransformError.
"""
