"""Fields that recur."""

from jobs.catalogue.schema import Schema, array, fields, flag, media, one_of, open_text, text

PICTURE = media("data_uri", "url")
#: Where the proxy reads data: URIs and fetches nothing.
INLINE_PICTURE = media("data_uri")
MASK = INLINE_PICTURE | {"title": "PNG; white is painted anew, black is kept"}
PROMPT = text(pattern=r"\S")
BOT = one_of("MID_JOURNEY", "NIJI_JOURNEY") | {"default": "MID_JOURNEY"}
TASK_ID = text(200, pattern=r"^\S+$", description="`upstream.task_id` of an earlier job")
STATE = text(255, shortest=0, description="comes back in the provider's task")

ACCOUNT_FILTER = fields(
    {
        "modes": array(one_of("FAST", "RELAX", "TURBO")),
        "channelId": text(200),
        "instanceId": text(200),
        "remark": text(200),
        "remix": flag(),
        "remixAutoConsidered": flag(),
    },
    description="which of the gateway's accounts may do it",
)

#: No field of the provider's: the gateway tells speeds apart by where a call goes.
ROUTE: dict[str, Schema] = {
    "route": one_of("mj", "mj-fast/mj", "mj-relax/mj", "mj-turbo/mj")
    | {
        "default": "mj",
        "description": "where the call goes at the gateway, which decides speed and price",
    }
}

VIDEO_TYPE = open_text("vid_1.1_i2v_480", "vid_1.1_i2v_720")
