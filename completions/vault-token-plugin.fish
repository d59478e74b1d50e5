# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_vault_token_plugin_global_optspecs
    string join \n address= namespace= ca-cert= ca-path= client-cert= client-key= tls-server-name= tls-skip-verify timeout= o/output= q/quiet n/kube-namespace= kubeconfig= context= statefulset= selector= container= tool-image= h/help V/version
end

function __fish_vault_token_plugin_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_vault_token_plugin_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_vault_token_plugin_using_subcommand
    set -l cmd (__fish_vault_token_plugin_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -s V -l version -d 'Print version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "serve" -d 'Run the plugin (started by Vault or OpenBao)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "dev" -d 'Run a plugin on a development server'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "inspect" -d 'Show what a plugin is, or compare two of them'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "manifests" -d 'Print Kubernetes manifests for servers and applications'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "package" -d 'Build a container image of plugins, and their checksums'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "loader" -d 'Copy the plugins of an image into the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "register" -d 'Install, register, mount and configure a plugin'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "upgrade" -d 'Move all mounts of a plugin to another version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "rollback" -d 'Move all mounts of a plugin back to an earlier version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "deregister" -d 'Remove unused versions of a plugin'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "gc" -d 'Remove all versions that are no longer needed'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "reload" -d 'Reload a plugin on its mounts, and verify what runs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "status" -d 'Show plugin files, catalog, mounts and running versions'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "doctor" -d 'Diagnose a server, a plugin binary or an error message'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "creds" -d 'Get, renew and revoke credentials, or run a command with one'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "presets" -d 'Show which token APIs have presets, and what one of them needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "node" -d 'Run a step on a node (started by this program)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "parent-death" -d 'Run a command that ends with its parent (started by this program)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "version" -d 'Print the version and the plugin protocol version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l binary -d 'Plugin binary [default: this program]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l name -d 'Name of the plugin [default: the file name]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l arg -d 'Argument of the plugin; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l env -d 'Environment of the plugin; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l mount -d 'Path to mount the plugin at [default: from the name]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l smoke -d 'Path to read as a smoke test, like creds/developer' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l login -d 'Login to try, like login/ann password=@FILE' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l listen -d 'Address to listen on [default: 127.0.0.1:8200]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l data -d 'Directory to store data in [default: in memory]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l server -d 'Server: vault, bao or a path' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l preset -d 'Token API to configure; `presets` lists them' -r -f -a "artifactory\t''
buildkite\t''
cloudflare\t''
datadog\t''
digitalocean-spaces\t''
docker-hub\t''
elasticsearch\t''
gitea\t''
gitlab-group\t''
gitlab-project\t''
grafana\t''
harbor\t''
harbor-project\t''
hydra-client\t''
influxdb\t''
jupyterhub\t''
keycloak-client\t''
keystone\t''
keystone-app-cred\t''
kubernetes\t''
oauth2\t''
sentry\t''
sonarqube\t''
tailscale\t''
tokens\t''
vault-token\t''
verdaccio\t''"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l config -d 'Data for `config`; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l role -d 'Data for `roles/NAME`; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l write -d 'Data for any other path; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l watch -d 'Reload and compare when the binary changes'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand dev" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l arg -d 'Argument of the plugin; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l env -d 'Environment of the plugin; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l option -d 'Option of the mount, such as version=2; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l name -d 'Name of the plugin [default: custom-plugin]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l prefix -d 'Prefix of the names of all objects [default: the plugin\'s name]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l image -d 'Image of the plugin, as made by `package`' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l product -d 'Server product: vault or openbao' -r -f -a "vault\t'HashiCorp Vault'
openbao\t'OpenBao'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l pod-labels -d 'Labels of the servers\' pods [default: those of the official chart]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l server-image -d 'Image of the servers, for the part `server` [default: hashicorp/vault:1.21.4, openbao/openbao:2.6.2]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l plugin-dir -d 'Plugin directory' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l mount -d 'Path of a mount; repeatable [default: custom]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l service-account -d 'Service account of the operator [default: PREFIX-operator]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l server-address -d 'Address of the servers for pods [default: https://STATEFULSET.NAMESPACE.svc:8200]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l ca-secret -d 'Secret with the CA of the servers\' certificate, key ca.crt, in the application\'s namespace' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l monitoring-namespace -d 'Namespace of Prometheus' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l metrics-prefix -d 'Prefix of the plugin\'s metrics: the metrics_prefix of its config' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app -d 'Name of the application' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app-namespace -d 'Namespace of the application' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app-image -d 'Image of the application [default: busybox:1.37]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l app-user -d 'User that the application runs as [default: that of the image; 65532 in the default image]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l creds -d 'Credential of the application [default: MOUNT/creds/developer]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l auth-mount -d 'Mount path of the servers\' Kubernetes auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s f -l file -d 'Read plugin.yaml; flags take precedence' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l kustomize -d 'Write a directory for kustomize instead' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l base -d 'Resource that the kustomization builds on; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l overwrite -d 'Overwrite files of that directory that others have changed'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l diff -d 'Show cluster changes; exit with 3 if there are any'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand manifests" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l build -d 'Build the Rust package in DIR, statically [default: .]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l bin -d 'Name of the binary, if the package has several' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l name -d 'Name of the plugin [default: from the file name]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l arg -d 'Argument of the plugin; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l env -d 'Environment of the plugin; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l platform -d 'Platform of the image; repeatable [default: those that can be started here]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l loader -d 'Static build of this program for a platform; repeatable [default: this program]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l layout -d 'Write the image as an OCI layout' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l archive -d 'Write the image as one file, as for `docker load`' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l push -d 'Push the image to a registry: HOST/NAME[:TAG]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tag -d 'Tag of the image [default: the highest version in it]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l label -d 'Label of the image; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l user -d 'User that the image runs as' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l sums -d 'File to write the checksums to' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l registry-ca -d 'PEM file of the CA that signed the registry\'s certificate' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l plain-http -d 'Access the registry without TLS'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l dry-run -d 'Show what would be made; write and push nothing'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand package" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l from -d 'Directory of the versions and their SHA256SUMS' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l to -d 'The server\'s plugin directory' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l owner -d 'Owner of the installed files [default: the user of the process]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l overwrite -d 'Overwrite another build of the same version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l watch -d 'Keep running, and restore files that are removed or changed'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l self -d 'Copy only this program, for an application that runs `creds exec`'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand loader" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l binary -d 'Plugin binary [default: this program]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l image -d 'Image of the plugin (registry or OCI layout)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l version -d 'Plugin version [default: as the binary reports it]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l arg -d 'Argument of the plugin; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l env -d 'Environment of the plugin; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s f -l file -d 'Read plugin.yaml; flags take precedence' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l type -d 'Plugin type: secret, auth, database [default: secret]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l mount -d 'Path to mount the plugin at' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l smoke -d 'Path to read as a smoke test, like creds/developer' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l installed-on -d 'Another node that has the binary already; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l preset -d 'Token API to configure; `presets` lists them' -r -f -a "artifactory\t''
buildkite\t''
cloudflare\t''
datadog\t''
digitalocean-spaces\t''
docker-hub\t''
elasticsearch\t''
gitea\t''
gitlab-group\t''
gitlab-project\t''
grafana\t''
harbor\t''
harbor-project\t''
hydra-client\t''
influxdb\t''
jupyterhub\t''
keycloak-client\t''
keystone\t''
keystone-app-cred\t''
kubernetes\t''
oauth2\t''
sentry\t''
sonarqube\t''
tailscale\t''
tokens\t''
vault-token\t''
verdaccio\t''"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l config -d 'Data for `config`; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l role -d 'Data for `roles/NAME`; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l write -d 'Data for any other path; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-ephemeral -d 'Allow a plugin directory that does not survive a pod restart'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-downgrade -d 'Allow moving mounts to an older version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l rewrite -d 'Write data again that cannot be read back'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l this-node-only -d 'Leave the other nodes without the binary'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-sealed-restart -d 'Allow restarting OpenBao standbys that are unsealed by hand'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l allow-quorum-loss -d 'Allow restarting a raft voter that the quorum needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s y -l yes -d 'Apply without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l dry-run -d 'Show the plan; exit with 3 if it is not empty'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand register" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l binary -d 'Plugin binary [default: this program]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l image -d 'Image of the plugin (registry or OCI layout)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l version -d 'Plugin version [default: as the binary reports it]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l arg -d 'Argument of the plugin; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l env -d 'Environment of the plugin; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s f -l file -d 'Read plugin.yaml; flags take precedence' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l mount -d 'Upgrade only this mount; repeatable [default: all]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l type -d 'Plugin type [default: as registered]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l smoke -d 'Path to read as a smoke test, like creds/developer' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l canary-config -d 'Configuration of the canary mount: live, own or none' -r -f -a "live\t'The data of the first mount of plugin.yaml that has any. Not for an engine that changes its root credential when it is configured: that would invalidate the credential of the live mount'
own\t'The data of --config, --role and --write'
none\t'No data: the version is started there, and not tested'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l installed-on -d 'Another node that has the binary already; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l config -d 'Data for `config`; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l role -d 'Data for `roles/NAME`; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l write -d 'Data for any other path; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-ephemeral -d 'Allow a plugin directory that does not survive a pod restart'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-downgrade -d 'Allow moving mounts to an older version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l no-canary -d 'Skip the canary mount'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-breaking -d 'Allow removing paths or fields that clients may use'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l test-failover -d 'Make every node the active one in turn at the end, and verify it'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l this-node-only -d 'Leave the other nodes without the binary'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-sealed-restart -d 'Allow restarting OpenBao standbys that are unsealed by hand'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l allow-quorum-loss -d 'Allow restarting a raft voter that the quorum needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s y -l yes -d 'Apply without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l dry-run -d 'Show the plan; exit with 3 if it is not empty'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand upgrade" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l version -d 'Plugin version [default: the one before]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l mount -d 'Roll back only this mount; repeatable [default: all]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l type -d 'Plugin type [default: as registered]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l smoke -d 'Path to read as a smoke test, like creds/developer' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l image -d 'Image of the plugin (registry or OCI layout)' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l installed-on -d 'Another node that has the binary already; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l allow-ephemeral -d 'Allow a plugin directory that does not survive a pod restart'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l allow-sealed-restart -d 'Allow restarting OpenBao standbys that are unsealed by hand'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l allow-quorum-loss -d 'Allow restarting a raft voter that the quorum needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l this-node-only -d 'Leave the other nodes without the binary'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s y -l yes -d 'Apply without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l dry-run -d 'Show the plan; exit with 3 if it is not empty'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand rollback" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l version -d 'Plugin version to remove; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l type -d 'Plugin type [default: as registered]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l all -d 'Remove all versions'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s y -l yes -d 'Apply without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l dry-run -d 'Show the plan; exit with 3 if it is not empty'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand deregister" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l keep -d 'Number of older versions to keep' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s y -l yes -d 'Apply without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l dry-run -d 'Show the plan; exit with 3 if it is not empty'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l mount -d 'Reload only this mount; repeatable [default: all]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l type -d 'Plugin type [default: as registered]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l allow-sealed-restart -d 'Allow restarting OpenBao standbys that are unsealed by hand'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l allow-quorum-loss -d 'Allow restarting a raft voter that the quorum needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s y -l yes -d 'Apply without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l dry-run -d 'Show the plan; exit with 3 if it is not empty'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand reload" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s w -l watch -d 'Refresh every two seconds until interrupted'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l binary -d 'Plugin binary to diagnose in place of a server' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l arg -d 'Argument of the plugin; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l env -d 'Environment of the plugin; KEY=@FILE reads a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l explain -d 'Explain an error, a log or a finding; - for stdin' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l target-catalog -d 'Check that another server has the plugins of all mounts' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l plugin-dir -d 'Plugin directory of the server on this machine [default: the one that the server reports]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l installed-on -d 'Another node that has the registered binaries; repeatable' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l fail-on -d 'Exit with 3 from this severity on' -r -f -a "breaks-now\t'Requests fail at this moment'
breaks-at-restart\t'It breaks at the next restart'
risk\t'It breaks when something else goes wrong too'
note\t'Anything'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s o -l output -d 'Output format: human, json, yaml, junit or sarif' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'
junit\t'Test results'
sarif\t'Results of an analysis, SARIF 2.1.0'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l logs -d 'Search the logs of the pods for known messages'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l fix -d 'Fix what is safe to fix, then diagnose again'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s y -l yes -d 'Apply the fix without confirmation'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "get" -d 'Get a credential'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "renew" -d 'Renew a lease'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "revoke" -d 'Revoke a lease, and wait until it is revoked'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "exec" -d 'Run a command with a credential, which is revoked when it exits'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "watch" -d 'Write a credential to files, and keep it valid until interrupted'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and not __fish_seen_subcommand_from get renew revoke exec watch help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l field -d 'Print the raw value of one field' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from get" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l increment -d 'Requested lease extension' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from renew" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from revoke" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l set-env -d 'Set a variable to a field [default: all]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l write-file -d 'Write a field, or json for all, to a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l on-change -d 'Reaction to a new credential: restart, none or a signal' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l grace -d 'Time to exit after a signal, before the command is killed' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth -d 'Login method: token or kubernetes' -r -f -a "token\t''
kubernetes\t''"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth-role -d 'Role of the auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth-mount -d 'Mount path of the auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l auth-token-path -d 'Token of the service account; read again at each login' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l keep-vault-token -d 'Keep VAULT_TOKEN and BAO_TOKEN in the command\'s environment'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l write-file -d 'Write a field, or json for all, to a file' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth -d 'Login method: token or kubernetes' -r -f -a "token\t''
kubernetes\t''"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth-role -d 'Role of the auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth-mount -d 'Mount path of the auth method' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l auth-token-path -d 'Token of the service account; read again at each login' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from watch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "get" -d 'Get a credential'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "renew" -d 'Renew a lease'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "revoke" -d 'Revoke a lease, and wait until it is revoked'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "exec" -d 'Run a command with a credential, which is revoked when it exits'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "watch" -d 'Write a credential to files, and keep it valid until interrupted'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand creds; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand presets" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -f -a "facts" -d 'Print facts about the node'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -f -a "copy" -d 'Write standard input to a file of the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -f -a "mode" -d 'Set the mode of a file or a directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -f -a "remove" -d 'Remove a file from the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -f -a "wait" -d 'Wait for other commands'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and not __fish_seen_subcommand_from facts copy mode remove wait help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from facts" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from copy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from mode" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "facts" -d 'Print facts about the node'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "copy" -d 'Write standard input to a file of the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "mode" -d 'Set the mode of a file or a directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a file from the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "wait" -d 'Wait for other commands'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand node; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l parent -d 'Process that started this one' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l on-exit -d 'What happens to the command when that ends' -r -f -a "terminate\t'It is terminated, so that it can stop its own processes'
kill\t'It is killed'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand parent-death" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l address -d 'Address of the server [env: VAULT_ADDR]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l namespace -d 'Vault namespace [env: VAULT_NAMESPACE]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l ca-cert -d 'PEM file of the CA that signed the server\'s certificate [env: VAULT_CACERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l ca-path -d 'Directory of PEM files of CAs [env: VAULT_CAPATH]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l client-cert -d 'PEM file of the client certificate [env: VAULT_CLIENT_CERT]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l client-key -d 'PEM file of the client key [env: VAULT_CLIENT_KEY]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l tls-server-name -d 'Name to expect in the server\'s certificate [env: VAULT_TLS_SERVER_NAME]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l timeout -d 'Timeout of one request [default: 60s] [env: VAULT_CLIENT_TIMEOUT]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s o -l output -d 'Output format: human, json or yaml [env: VAULT_FORMAT]' -r -f -a "human\t'Text for people'
json\t'One JSON document'
yaml\t'One YAML document'"
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s n -l kube-namespace -d 'Kubernetes namespace of the server\'s pods' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l kubeconfig -d 'Path of the kubeconfig [env: KUBECONFIG]' -r -F
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l context -d 'Context of the kubeconfig [default: the current one]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l statefulset -d 'StatefulSet of the server' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l selector -d 'Labels of the server\'s pods, in place of --statefulset' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l container -d 'Container of the server [default: the only one, or the one named vault or openbao]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l tool-image -d 'Image with this program, for pods without a shell [default: that of the loader\'s init container]' -r
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -l tls-skip-verify -d 'Accept any server certificate [env: VAULT_SKIP_VERIFY]'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s q -l quiet -d 'Print only warnings and errors'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand version" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "serve" -d 'Run the plugin (started by Vault or OpenBao)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "dev" -d 'Run a plugin on a development server'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "inspect" -d 'Show what a plugin is, or compare two of them'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "manifests" -d 'Print Kubernetes manifests for servers and applications'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "package" -d 'Build a container image of plugins, and their checksums'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "loader" -d 'Copy the plugins of an image into the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "register" -d 'Install, register, mount and configure a plugin'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "upgrade" -d 'Move all mounts of a plugin to another version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "rollback" -d 'Move all mounts of a plugin back to an earlier version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "deregister" -d 'Remove unused versions of a plugin'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "gc" -d 'Remove all versions that are no longer needed'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "reload" -d 'Reload a plugin on its mounts, and verify what runs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "status" -d 'Show plugin files, catalog, mounts and running versions'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "doctor" -d 'Diagnose a server, a plugin binary or an error message'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "creds" -d 'Get, renew and revoke credentials, or run a command with one'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "presets" -d 'Show which token APIs have presets, and what one of them needs'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "node" -d 'Run a step on a node (started by this program)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "parent-death" -d 'Run a command that ends with its parent (started by this program)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "version" -d 'Print the version and the plugin protocol version'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and not __fish_seen_subcommand_from serve dev inspect manifests package loader register upgrade rollback deregister gc reload status doctor creds presets node parent-death completions version help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "get" -d 'Get a credential'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "renew" -d 'Renew a lease'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "revoke" -d 'Revoke a lease, and wait until it is revoked'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "exec" -d 'Run a command with a credential, which is revoked when it exits'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from creds" -f -a "watch" -d 'Write a credential to files, and keep it valid until interrupted'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "facts" -d 'Print facts about the node'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "copy" -d 'Write standard input to a file of the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "mode" -d 'Set the mode of a file or a directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "remove" -d 'Remove a file from the plugin directory'
complete -c vault-token-plugin -n "__fish_vault_token_plugin_using_subcommand help; and __fish_seen_subcommand_from node" -f -a "wait" -d 'Wait for other commands'
