"""Short scripts that train on eagle_gym with other libraries; each stands alone and imports nothing from here."""
