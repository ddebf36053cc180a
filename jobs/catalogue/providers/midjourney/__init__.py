"""Midjourney behind the gateway: the protocol of a proxy that presses the buttons of a chat for us.

Every call makes a task. A finished picture comes with buttons, and each button pressed (`midjourney.action`) makes another task;
some open a form first, which `midjourney.modal` fills in. Source: apidoc.cometapi.com/api/image/midjourney.
"""

from jobs.catalogue.providers.midjourney.buttons import ACTION, MODAL
from jobs.catalogue.providers.midjourney.describe import DESCRIBE
from jobs.catalogue.providers.midjourney.pictures import BLEND, EDIT, IMAGINE
from jobs.catalogue.providers.midjourney.video import VIDEO
from jobs.catalogue.spec import Provider

PROVIDER = Provider(name="midjourney", title="Midjourney", operations=(IMAGINE, ACTION, MODAL, BLEND, DESCRIBE, EDIT, VIDEO))
