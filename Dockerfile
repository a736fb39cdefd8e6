# Rankscope in a container. Build: docker build -t rankscope .
# Run: docker run -p 127.0.0.1:8501:8501 --shm-size=1g -v rankscope:/data rankscope
ARG BASE_IMAGE=python:3.11-slim-bookworm
FROM ${BASE_IMAGE}

# torch's CPU builds; give another index for CUDA (https://download.pytorch.org/whl/cu130), or an
# empty one for whatever pip is configured to use.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/venv/bin:$PATH \
    RANKSCOPE_HOME=/data \
    HF_HOME=/data/huggingface \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0

WORKDIR /app
COPY requirements.txt constraints.txt ./
RUN python3 -m venv /opt/venv \
    && pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -c constraints.txt torch \
    && pip install -c constraints.txt -r requirements.txt

COPY . .

# A numeric user, so that an orchestrator can see that it is not root. Its numbers need no entry in
# /etc/passwd: nothing here looks the user's name up but USER, which is set.
RUN mkdir -p /data && chown 10001:10001 /data
ENV USER=rankscope HOME=/data
USER 10001:10001
VOLUME /data
EXPOSE 8501

HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/_stcore/health', timeout=4)"]

CMD ["python3", "-m", "streamlit", "run", "app/main.py", "--server.port", "8501"]
