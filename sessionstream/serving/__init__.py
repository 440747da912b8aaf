"""What the web applications that come with the library share: where they listen, for whom, and how they end.

``address`` (where to listen, which hosts to answer for), ``hosts`` (refuse requests for others), ``files`` (static
files of the package and the headers they go out with), ``bodies`` (read what a page sends), ``running`` (uvicorn, and
a farewell before it goes), ``commands`` (what people type to start them). All but ``address`` and ``commands`` need the
extra ``lab``. An application of your own has its framework's means for all of this.
"""
