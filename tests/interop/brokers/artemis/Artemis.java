// An embedded ActiveMQ Artemis with AMQP 1.0: Artemis CONFIGURATION-FOLDER DATA-FOLDER CERTIFICATES-FOLDER AMQP-PORT AMQPS-PORT
// HOST in the environment; default 127.0.0.1. broker.xml has the rest.

import java.nio.file.Path;
import org.apache.activemq.artemis.core.config.impl.SecurityConfiguration;
import org.apache.activemq.artemis.core.server.embedded.EmbeddedActiveMQ;
import org.apache.activemq.artemis.spi.core.security.ActiveMQJAASSecurityManager;
import org.apache.activemq.artemis.spi.core.security.jaas.InVMLoginModule;

public class Artemis {
    public static void main(String[] arguments) throws Exception {
        System.setProperty("interop.host", System.getenv().getOrDefault("HOST", "127.0.0.1"));
        System.setProperty("interop.data", arguments[1]);
        System.setProperty("interop.certificates", arguments[2]);
        System.setProperty("interop.port", arguments[3]);
        System.setProperty("interop.tls_port", arguments[4]);
        SecurityConfiguration users = new SecurityConfiguration();
        for (String[] user : new String[][] {{"amqp", "secret"}, {"guest", "guest"}}) {
            users.addUser(user[0], user[1]);
            users.addRole(user[0], "all");
        }
        users.setDefaultUser("guest"); // who logs in as ANONYMOUS
        EmbeddedActiveMQ broker = new EmbeddedActiveMQ();
        broker.setConfigResourcePath(Path.of(arguments[0], "broker.xml").toUri().toString());
        broker.setSecurityManager(new ActiveMQJAASSecurityManager(InVMLoginModule.class.getName(), users));
        broker.start();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(broker)));
        System.out.println("ready");
        Thread.currentThread().join();
    }

    private static void stop(EmbeddedActiveMQ broker) {
        try {
            broker.stop();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }
}
