// An embedded ActiveMQ Classic with AMQP 1.0: AmqBroker AMQP-PORT AMQPS-PORT
// Key and trust stores by -Djavax.net.ssl.*; -Ddata=FOLDER for KahaDB, without it everything is in memory.

import java.util.Arrays;
import org.apache.activemq.broker.BrokerPlugin;
import org.apache.activemq.broker.BrokerService;
import org.apache.activemq.security.AuthenticationUser;
import org.apache.activemq.security.SimpleAuthenticationPlugin;

public class AmqBroker {
    public static void main(String[] ports) throws Exception {
        BrokerService broker = new BrokerService();
        broker.setBrokerName("amqtest");
        broker.setUseJmx(false);
        broker.setUseShutdownHook(true);
        broker.setSchedulerSupport(false);
        String data = System.getProperty("data");
        broker.setPersistent(data != null);
        if (data != null) {
            broker.setDataDirectory(data);
        }
        SimpleAuthenticationPlugin users = new SimpleAuthenticationPlugin(Arrays.asList(
            new AuthenticationUser("guest", "guest", "users"),
            new AuthenticationUser("amqp", "secret", "admins,users")));
        users.setAnonymousAccessAllowed(true);
        users.setAnonymousUser("anonymous");
        users.setAnonymousGroup("users");
        broker.setPlugins(new BrokerPlugin[] {users});
        // maxFrameSize is the limit of a whole message
        String options = "?transport.transformer=jms&wireFormat.maxFrameSize=104857600&maximumConnections=1000";
        broker.addConnector("amqp://127.0.0.1:" + ports[0] + options);
        broker.addConnector("amqp+ssl://127.0.0.1:" + ports[1] + options
            + "&transport.wantClientAuth=true&transport.enabledProtocols=TLSv1.2,TLSv1.3");
        broker.start();
        broker.waitUntilStarted();
        broker.waitUntilStopped();
    }
}
