"""Fit the latent space of the embedded catalog anew and write it where the package ships it."""

from eagle_gym.latent.prepare import ship_plots

if __name__ == "__main__":
    print(ship_plots().quality)
