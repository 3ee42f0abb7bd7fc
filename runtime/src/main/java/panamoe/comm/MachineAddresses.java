package panamoe.comm;

import java.io.IOException;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The addresses under which other ranks may reach this machine. */
public final class MachineAddresses {
  private MachineAddresses() {}

  /**
   * All addresses except link-local ones. The loopback comes first: it is the fastest, and no other
   * machine answers there.
   */
  public static List<String> all() throws IOException {
    List<String> addresses = new ArrayList<>();
    for (NetworkInterface device : Collections.list(NetworkInterface.getNetworkInterfaces())) {
      if (device.isUp()) {
        for (InetAddress address : Collections.list(device.getInetAddresses())) {
          if (!address.isLinkLocalAddress()) {
            // The scope (%eth0) has a meaning on this machine only.
            String plain = address.getHostAddress().replaceFirst("%.*", "");
            addresses.add(device.isLoopback() ? 0 : addresses.size(), plain);
          }
        }
      }
    }
    return addresses;
  }
}
