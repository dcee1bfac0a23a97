"""Finds the TLS context and the proxy, as the environment sets them."""

from __future__ import annotations

import os
import ssl
from functools import cache
from urllib.request import getproxies, proxy_bypass

import httpx

from airflow_provider_opencx.exceptions import OpenCXConfigError


@cache
def tls_context() -> ssl.SSLContext:
    """Return the TLS context of this process: loading the certificate bundle takes up to a tenth of a second.

    It always verifies certificates. SSL_CERT_FILE or SSL_CERT_DIR say whom it trusts.

    :raises OpenCXConfigError: if these variables do not name certificates that can be read.
    """
    try:
        # httpx before 0.28 ignores a missing file.
        if file := os.environ.get("SSL_CERT_FILE"):
            return ssl.create_default_context(cafile=file)
        return httpx.create_ssl_context()
    except OSError as error:
        raise OpenCXConfigError(
            "The environment variable SSL_CERT_FILE or SSL_CERT_DIR does not name certificates that can be read:"
            f" {error.strerror or type(error).__name__}."
        ) from None


def proxy_for(base_url: str) -> str | None:
    """Return the proxy that the environment names for a URL, ``None`` if there is none.

    Only https goes through a proxy, because there it is a tunnel and the proxy never sees the key.

    :raises OpenCXConfigError: if the proxy is of another kind than http or https, or its URL cannot be read; or if the
        host of the URL has a name that is none.
    """
    url = httpx.URL(base_url)
    try:
        url.host.encode()
    except UnicodeError:
        raise OpenCXConfigError(
            f"The Base URL (host), {base_url}, has no name of a host: what follows xn-- in it cannot be decoded."
        ) from None
    if url.scheme != "https" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if proxy is None:
        return None
    scheme, separator, _ = proxy.partition("://")
    if separator and scheme not in ("http", "https"):
        raise OpenCXConfigError(
            f"The environment (HTTPS_PROXY or ALL_PROXY) names a proxy of kind {scheme}; only http and https proxies"
            " are supported."
        )
    address = proxy if separator else f"http://{proxy}"
    try:
        if not httpx.Proxy(address).url.host:
            raise ValueError("no host")
    except (httpx.InvalidURL, ValueError):  # which may quote the URL, with a password that may be in it
        raise OpenCXConfigError(
            "The environment (HTTPS_PROXY or ALL_PROXY) names a proxy whose URL cannot be read; it should be like"
            " http://proxy.example.com:3128."
        ) from None
    return address
