"""Short scripts that train on eagle_gym with other libraries; each is complete in one file."""
