package panamoe.api;

import java.util.Map;
import panamoe.api.internal.Argument;
import panamoe.api.internal.Failures;

/**
 * The settings of a rank over TCP. All ranks get the same ones, except for {@code rank}.
 *
 * <p>The secret keeps strangers out: two ranks prove to each other that they know it. Unless {@code
 * encrypted}, the traffic is neither encrypted nor signed, so ranks belong in a private network.
 *
 * @param rank 0 to {@code size - 1}
 * @param size number of ranks
 * @param host of rank 0, by name or address, as other ranks reach it
 * @param port at which rank 0 listens until all ranks have come
 * @param secret of at least 16 characters, preferably random
 * @param encrypted whether all that ranks send is encrypted and protected against changes, with
 *     keys from the secret
 */
public record TcpRank(int rank, int size, String host, int port, String secret, boolean encrypted) {
  static {
    RequiredJava.check();
  }

  /**
   * @throws PanamoeException.BadArgument in one sentence
   */
  public TcpRank {
    Failures.run(() -> new panamoe.comm.tcp.TcpRank(rank, size, host, port, secret, encrypted));
  }

  /**
   * A rank that does not encrypt.
   *
   * @throws PanamoeException.BadArgument in one sentence
   */
  public TcpRank(int rank, int size, String host, int port, String secret) {
    this(rank, size, host, port, secret, false);
  }

  /**
   * The settings in the environment variables that {@code panamoe train --comm tcp} reads too.
   *
   * @param environment {@code PANAMOE_RANK}, {@code PANAMOE_RANKS}, {@code PANAMOE_RENDEZVOUS}
   *     (rank 0's host and port), {@code PANAMOE_SECRET} and {@code PANAMOE_ENCRYPT} (1:
   *     encrypted), from {@code System.getenv()}
   * @throws PanamoeException.BadArgument in one sentence that names the variable
   */
  public static TcpRank of(Map<String, String> environment) {
    panamoe.comm.tcp.TcpRank rank =
        Failures.translating(
            () -> panamoe.comm.tcp.TcpRank.of(Argument.notNull("environment", environment)));
    return new TcpRank(
        rank.rank(), rank.size(), rank.host(), rank.port(), rank.secret(), rank.encrypted());
  }

  panamoe.comm.tcp.TcpRank inner() {
    return new panamoe.comm.tcp.TcpRank(rank, size, host, port, secret, encrypted);
  }

  /** The settings without the secret. */
  @Override
  public String toString() {
    return inner().toString();
  }
}
