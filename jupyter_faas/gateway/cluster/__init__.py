"""What makes a gateway the controller of the Functions it owns on a cluster.

`reconcile` (pure) says what is to be done about one function, `controller` does it; `status` (pure)
says what a Function's status is, `status_writer` writes it; `events` tells people in Kubernetes'
own way, `services` gives functions a Service.
"""
