# One image for every room: `waypost ingest`, `waypost journey`, `waypost metrics`, and `waypost up` for all of them in one.
# The first stage needs pip and the lock file; the second holds Python, the pinned packages and Waypost, and nothing that builds.

FROM python:3.11-slim AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN ["python", "-m", "venv", "/opt/waypost"]
WORKDIR /build
COPY requirements.lock ./
RUN ["/opt/waypost/bin/pip", "install", "--require-hashes", "--only-binary=:all:", "--requirement", "requirements.lock"]
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY services ./services
RUN ["/opt/waypost/bin/pip", "install", "--no-deps", "."]

FROM python:3.11-slim
ENV PATH=/opt/waypost/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
RUN ["useradd", "--uid", "10001", "--user-group", "--create-home", "--home-dir", "/var/lib/waypost", "waypost"]
COPY --from=build /opt/waypost /opt/waypost
USER 10001:10001
WORKDIR /var/lib/waypost
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=4)"]
ENTRYPOINT ["waypost"]
CMD ["--help"]
