// An embedded Qpid Broker-J with AMQP 1.0: BrokerJ CONFIGURATION-FOLDER DATA-FOLDER CERTIFICATES-FOLDER AMQP-PORT AMQPS-PORT
// HOST in the environment; default 127.0.0.1. AMQP-PORT + 5, + 6 and + 7 are used as well; broker.json and
// virtualhost.json have the rest.

import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.apache.qpid.server.SystemLauncher;

public class BrokerJ {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(arguments[3]);
        Path configuration = Path.of(arguments[0]);
        Map<String, String> context = new HashMap<>();
        context.put("qpid.work_dir", arguments[1]);
        context.put("interop.host", System.getenv().getOrDefault("HOST", "127.0.0.1"));
        context.put("interop.certificates", arguments[2]);
        context.put("interop.port", arguments[3]);
        context.put("interop.tls_port", arguments[4]);
        context.put("interop.anonymous_port", Integer.toString(port + 5));
        context.put("interop.strict_port", Integer.toString(port + 6));
        context.put("interop.websocket_port", Integer.toString(port + 7));
        context.put("interop.virtualhost", configuration.resolve("virtualhost.json").toUri().toString());
        Map<String, Object> attributes = new HashMap<>();
        attributes.put("type", "Memory"); // of the configuration alone: messages are on disk
        attributes.put("initialConfigurationLocation", configuration.resolve("broker.json").toUri().toString());
        attributes.put("context", context);
        SystemLauncher broker = new SystemLauncher();
        broker.startup(attributes);
        Runtime.getRuntime().addShutdownHook(new Thread(broker::shutdown));
        System.out.println("ready");
        Thread.currentThread().join();
    }
}
