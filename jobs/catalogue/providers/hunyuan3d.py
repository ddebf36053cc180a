"""Tencent Hunyuan3D. The gateway's contract was not found: the path is a sister gateway's, fields and answers are Tencent's.

Source: tencentcloud.com/document/api/1284/75540 and 75541; 302.ai for the path (read 2026-11).
"""

from jobs.catalogue.schema import array, fields, flag, media, one_of, prompt, whole
from jobs.catalogue.spec import Confidence, Errors, Fault, Operation, Output, Poll, Progress, Provider, Submit

_SIDES = ("left", "right", "back")

GENERATION = Operation(
    name="hunyuan3d.generation",
    modality="model3d",
    provider="hunyuan3d",
    summary="A 3D model from a text, a picture, or pictures of several sides",
    input_schema=fields(
        {
            "Prompt": prompt(1024),
            "ImageBase64": media("base64"),
            "ImageUrl": media("url"),
            "MultiViewImages": array(
                fields(
                    {"ViewType": one_of(*_SIDES), "ViewImageUrl": media("url"), "ViewImageBase64": media("base64")},
                    required=("ViewType",),
                    oneOf=[{"required": ["ViewImageUrl"]}, {"required": ["ViewImageBase64"]}],
                ),
                most=len(_SIDES),
            )
            | {"description": "other sides of what the picture shows"},
            "EnablePBR": flag() | {"default": False},
            "FaceCount": whole(1, 1_500_000) | {"description": "40000 and more, 500000 where left out"},
            "GenerateType": one_of("Normal", "LowPoly", "Geometry", "Sketch") | {"default": "Normal"},
            "PolygonType": one_of("triangle", "quadrilateral") | {"description": "LowPoly"},
        },
        anyOf=[{"required": ["Prompt"]}, {"required": ["ImageBase64"]}, {"required": ["ImageUrl"]}],
        allOf=[
            {"if": {"required": ["ImageBase64"]}, "then": {"properties": {"ImageUrl": False}}},
            {
                # A sketch is the one picture that comes with a text.
                "if": {
                    "required": ["Prompt"],
                    "not": {"properties": {"GenerateType": {"const": "Sketch"}}, "required": ["GenerateType"]},
                },
                "then": {"properties": {"ImageBase64": False, "ImageUrl": False}},
            },
        ],
    ),
    example={"Prompt": "A wooden toy tram with round windows", "GenerateType": "Normal", "EnablePBR": True},
    submit=Submit(path="/tencent/hunyuan3d/pro-job"),
    task_id=("Response.JobId",),
    poll=Poll(
        method="POST",
        path="/tencent/hunyuan3d/pro-query",
        body={"JobId": "{id}"},
        status=("Response.Status",),
        words={"wait": Progress.RUNNING, "run": Progress.RUNNING, "done": Progress.DONE, "fail": Progress.FAILED},
        reason=("Response.ErrorMessage",),
        failure_code=("Response.ErrorCode",),
        every_s=(5, 5, 7, 10, 10, 15, 20),
        give_up_s=3600,
    ),
    outputs=(
        Output(kind="model3d", select=("Response.ResultFile3Ds[?Url].{url: Url, type: Type}",)),
        Output(kind="image", select=("Response.ResultFile3Ds[?PreviewImageUrl].{url: PreviewImageUrl, type: Type}",)),
    ),
    values=("{files: Response.ResultFile3Ds[].{type: Type}}",),
    errors=Errors(
        code=("Response.Error.Code", "error.code", "code"),
        message=("Response.Error.Message", "error.message", "message"),
        in_200="Response.Error",
        codes={
            "requestlimitexceeded*": Fault.RATE_LIMITED,
            "failedoperation*": Fault.BROKEN,
            # Tencent Cloud's codes of all its products.
            "invalidparameter*": Fault.INVALID_INPUT,
            "missingparameter*": Fault.INVALID_INPUT,
            "unknownparameter*": Fault.INVALID_INPUT,
            "authfailure*": Fault.AUTH,
            "unauthorizedoperation*": Fault.FORBIDDEN,
            "internalerror*": Fault.BROKEN,
        },
    ),
    output_lifetime="24 hours",
    confidence=Confidence.UNKNOWN,
    unknown=(
        "whether and where the gateway offers this: path and shape are a guess after sister gateways and Tencent's own API",
        "the format of an OBJ file, which is usually a zip with mesh, material and textures",
        "the range of FaceCount",
        "what Tencent's refusal of the content is called",
        "rate limits: natively three jobs at once",
    ),
    source="tencentcloud.com/document/api/1284/75540 and 75541, 302.ai; no page of the gateway (read 2026-11)",
)

PROVIDER = Provider(name="hunyuan3d", title="Tencent Hunyuan3D", operations=(GENERATION,))
