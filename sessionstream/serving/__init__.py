"""Parts shared by the web applications that come with the library: addresses, host checks, files, requests, shutdown.

``address`` parses listening addresses, ``hosts`` refuses requests for other hosts, ``files`` serves static files of the
package with security headers, ``bodies`` reads JSON requests, ``running`` runs uvicorn and calls a function before it
closes connections, ``commands`` parses arguments of the commands that start the applications. All but ``address`` and
``commands`` need the extra ``lab``. For an application of your own, use what its framework has for this.
"""
