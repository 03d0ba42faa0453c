from tests.support.plugin_files import hurried as hurried
from tests.support.plugin_files import no_plugins_after as no_plugins_after
from tests.support.plugin_files import plugins_dir as plugins_dir
