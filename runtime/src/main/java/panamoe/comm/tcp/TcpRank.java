package panamoe.comm.tcp;

import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import panamoe.comm.LauncherVariables;
import panamoe.io.Require;

/**
 * What a process must know to be a rank. All processes have the same values except their rank.
 *
 * @param rank 0 to {@code size - 1}
 * @param size number of ranks
 * @param host of rank 0, a name or an address that the others can reach
 * @param port at which rank 0 listens until all ranks are connected
 * @param secret that the ranks share: at least 16 characters, preferably random. By it they prove
 *     to each other that they are ranks
 * @param encrypted whether all that the ranks send is encrypted and protected against changes, with
 *     keys from the secret. Otherwise anyone on the network between them can read and change it
 */
public record TcpRank(int rank, int size, String host, int port, String secret, boolean encrypted) {
  private static final int SHORTEST_SECRET = 16;
  private static final int LAST_PORT = 65_535;
  private static final String RENDEZVOUS = "PANAMOE_RENDEZVOUS";
  private static final String SECRET = "PANAMOE_SECRET";
  private static final Pattern HOST_AND_PORT =
      Pattern.compile("([^:\\[\\]]+|\\[[0-9A-Fa-f:.]+\\]):(\\d{1,9})");

  /**
   * @throws IllegalArgumentException in one sentence
   */
  public TcpRank {
    Require.that(size >= 1, "there are " + size + " ranks, expected 1 or more");
    Require.that(
        rank >= 0 && rank < size, "rank " + rank + " of " + size + " is not in 0.." + (size - 1));
    Require.that(host != null && !host.isBlank(), "rank 0's host is empty");
    Require.that(
        port > 0 && port <= LAST_PORT, "rank 0's port " + port + " is not in 1.." + LAST_PORT);
    Require.that(
        secret != null && secret.length() >= SHORTEST_SECRET,
        "the ranks' secret has fewer than "
            + SHORTEST_SECRET
            + " characters"
            + (encrypted ? ", but it makes the keys that encrypt" : ""));
  }

  /**
   * From the environment: {@code PANAMOE_RANK}, {@code PANAMOE_RANKS}, {@code PANAMOE_RENDEZVOUS}
   * (host and port of rank 0, such as {@code node0:7777} or {@code [fd00::1]:7777}), {@code
   * PANAMOE_SECRET}, and {@code PANAMOE_ENCRYPT} (1: encrypted; 0 by default).
   *
   * @throws IllegalArgumentException in one sentence that names the variable
   */
  public static TcpRank of(Map<String, String> environment) {
    String here = environment.getOrDefault(LauncherVariables.RANKS_HERE, "1");
    Require.that(
        here.matches("[1-9]\\d{0,8}"),
        LauncherVariables.RANKS_HERE + " is '" + here + "', expected 1 or more");
    String address = wanted(environment, RENDEZVOUS, "rank 0's host and port, such as node0:7777");
    Matcher parts = HOST_AND_PORT.matcher(address);
    Require.that(parts.matches(), RENDEZVOUS + " is '" + address + "', expected HOST:PORT");
    String encrypt = environment.getOrDefault(LauncherVariables.ENCRYPT, "");
    Require.that(
        encrypt.matches("[01]?"),
        LauncherVariables.ENCRYPT + " is '" + encrypt + "', expected 1 (the ranks encrypt) or 0");
    return new TcpRank(
        number(environment, LauncherVariables.RANK, "this process's rank, from 0"),
        number(environment, LauncherVariables.RANKS, "how many ranks there are"),
        parts.group(1).replaceAll("[\\[\\]]", ""),
        Integer.parseInt(parts.group(2)),
        wanted(environment, SECRET, "the same long word on all ranks"),
        encrypt.equals("1"));
  }

  private static String wanted(Map<String, String> environment, String name, String what) {
    String value = environment.getOrDefault(name, "");
    Require.that(!value.isEmpty(), name + " is not set: " + what);
    return value;
  }

  private static int number(Map<String, String> environment, String name, String what) {
    String value = wanted(environment, name, what);
    Require.that(
        value.matches("\\d{1,9}"), name + " is '" + value + "', expected a number: " + what);
    return Integer.parseInt(value);
  }

  /** Without the secret. */
  @Override
  public String toString() {
    return "rank " + rank + " of " + size + " at " + host + ":" + port;
  }
}
