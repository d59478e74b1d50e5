"""A JupyterHub of which tests use the API alone."""

import os

from jupyterhub.proxy import Proxy


class NoProxy(Proxy):
    """Remembers routes and forwards nothing: no single-user server is ever started, and clients ask the hub itself."""

    should_start = False

    def __init__(self, **settings):
        super().__init__(**settings)
        self.known = {}

    async def add_route(self, routespec, target, data):
        self.known[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.known.pop(routespec, None)

    async def get_all_routes(self):
        return self.known


c = get_config()  # noqa: F821
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.hub_bind_url = os.environ["JUPYTERHUB_ADDRESS"]
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allowed_users = {"app1", "app2"}
c.Authenticator.admin_users = {"operator"}
c.JupyterHub.services = [{"name": "vault", "api_token": os.environ["JUPYTERHUB_ADMIN_KEY"]}]
c.JupyterHub.load_roles = [{"name": "vault", "services": ["vault"], "scopes": ["admin:users", "list:users", "tokens"]}]
