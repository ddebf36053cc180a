# One image for every role: `docker run mediamill api | worker video | beat | flower | db upgrade`.
FROM python:3.13-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY requirements.prod.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/mediamill \
 && /opt/mediamill/bin/pip install --require-hashes -r requirements.prod.lock
COPY api_stub api_stub
COPY examples examples
COPY jobs jobs
COPY simulator simulator
COPY storage storage
COPY workers workers
RUN /opt/mediamill/bin/pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/mediamill mediamill
COPY --from=build /opt/mediamill /opt/mediamill
ENV PATH=/opt/mediamill/bin:$PATH PYTHONUNBUFFERED=1 MEDIAMILL_DATA=/var/lib/mediamill MEDIAMILL_LOG_FORMAT=json
USER mediamill
WORKDIR /var/lib/mediamill
EXPOSE 8080 5555
# A worker finishes the call it has in flight: a paid call that is cut off ends as `unknown`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["mediamill"]
CMD ["api", "--host", "0.0.0.0"]
