"""caer_ros: how people in a robot's camera image appear to feel, from one look at the whole scene."""

import pkgutil

# The messages are generated elsewhere (site-packages, or a workspace's install folder);
# this joins them to the source folder when it comes first on the path.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = "0.1.0"
