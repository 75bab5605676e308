"""Deployment to AWS: the CloudFormation template and the function's zip."""
