package panamoe.testkit;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Injects faults into a JVM's system calls on one folder: {@code faults.c} is compiled to a library
 * that the JVM preloads. The JVM with faults and the observing one may both use this class; they
 * share its file.
 */
public final class Faults {
  /** The action at a call. */
  public enum Action {
    /** Calls are only counted. */
    PASS,
    KILL_BEFORE,
    KILL_AFTER,
    /** Like {@link #KILL_AFTER}, with half a write. */
    KILL_AMID,
    FAIL_ONCE,
    /** This call and all after it fail. */
    FAIL_FROM
  }

  /** A place at which to kill the process. */
  public record Kill(Action action, long call) {}

  private static final String FILE = "PANAMOE_FAULTS";

  // The file layout of faults.c.
  private static final int MOST_LOG = 1 << 20;
  private static final int MOST_PATH = 4096;
  private static final int AT = Long.BYTES;
  private static final int ERROR = 2 * Long.BYTES;
  private static final int COUNT = 3 * Long.BYTES;
  private static final int LOG_BYTES = 4 * Long.BYTES;
  private static final int FOLDER = 5 * Long.BYTES;
  private static final int LOG = FOLDER + MOST_PATH;

  private final Path file;
  private final MappedByteBuffer control;

  private Faults(Path file) throws IOException {
    this.file = file;
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      control = channel.map(FileChannel.MapMode.READ_WRITE, 0, LOG + MOST_LOG);
      control.order(ByteOrder.nativeOrder());
    }
  }

  /**
   * Compiles the library and makes the file.
   *
   * @param work a folder for both, outside {@code folder}
   * @param folder whose calls are affected
   */
  public static Faults on(Path folder, Path work) throws IOException, InterruptedException {
    Path library = work.resolve("faults.so");
    if (Files.notExists(library)) {
      Path source = work.resolve("faults.c");
      try (InputStream in = Faults.class.getResourceAsStream("faults.c")) {
        Files.write(source, in.readAllBytes());
      }
      Process compiler =
          new ProcessBuilder(
                  "cc",
                  "-shared",
                  "-fPIC",
                  "-O1",
                  "-o",
                  library.toString(),
                  source.toString(),
                  "-ldl")
              .redirectErrorStream(true)
              .start();
      String said = new String(compiler.getInputStream().readAllBytes(), UTF_8);
      if (compiler.waitFor() != 0) {
        throw new IOException("faults.c does not compile: " + said);
      }
    }
    Faults faults = new Faults(work.resolve("faults.control"));
    byte[] name = folder.toString().getBytes(UTF_8);
    faults.control.put(FOLDER, name).put(FOLDER + name.length, (byte) 0);
    return faults;
  }

  /** The faults of this JVM, which was started with them. */
  public static Faults mine() throws IOException {
    return new Faults(Path.of(System.getenv(FILE)));
  }

  /** Makes a JVM start with the fault library. */
  public ProcessBuilder disturb(ProcessBuilder jvm) {
    jvm.environment().put("LD_PRELOAD", file.resolveSibling("faults.so").toString());
    jvm.environment().put(FILE, file.toString());
    return jvm;
  }

  /**
   * Sets the action, and restarts counting.
   *
   * @param call which one, from 1
   * @param error the errno of a call that fails
   */
  public void set(Action action, long call, int error) {
    control.putLong(0, Action.PASS.ordinal());
    control.putLong(AT, call);
    control.putLong(ERROR, error);
    control.putLong(COUNT, 0);
    control.putLong(LOG_BYTES, 0);
    control.putLong(0, action.ordinal());
  }

  /**
   * Calls since {@link #set}: the letter that {@code faults.c} gives each, and the path in the
   * folder.
   */
  public List<String> calls() {
    byte[] log = new byte[(int) control.getLong(LOG_BYTES)];
    control.get(LOG, log);
    List<String> calls = new String(log, UTF_8).lines().toList();
    if (calls.size() != control.getLong(COUNT)) {
      throw new IllegalStateException(
          "the log was too short for " + control.getLong(COUNT) + " calls");
    }
    return calls;
  }

  /**
   * Places to kill a process that makes these calls: before, after and in the middle of each call
   * that changes something.
   *
   * <p>The system property {@code panamoe.kill.points} is their number, or {@code all}.
   *
   * @param few number of places without the property
   */
  public static List<Kill> kills(List<String> calls, int few) {
    List<Kill> all = new ArrayList<>();
    for (int call = 1; call <= calls.size(); call++) {
      switch (calls.get(call - 1).charAt(0)) {
        case 'w' ->
            all.addAll(
                List.of(
                    new Kill(Action.KILL_BEFORE, call),
                    new Kill(Action.KILL_AMID, call),
                    new Kill(Action.KILL_AFTER, call)));
        case 'o', 'f', 'm', 'u', 'd' ->
            all.addAll(
                List.of(new Kill(Action.KILL_BEFORE, call), new Kill(Action.KILL_AFTER, call)));
        default -> {} // reads change nothing
      }
    }
    String wanted = System.getProperty("panamoe.kill.points", String.valueOf(few));
    int points = wanted.equals("all") ? all.size() : Math.min(all.size(), Integer.parseInt(wanted));
    Set<Kill> chosen = new LinkedHashSet<>();
    for (int i = 0; i < points; i++) {
      chosen.add(all.get((int) ((long) i * (all.size() - 1) / Math.max(1, points - 1))));
    }
    return List.copyOf(chosen);
  }
}
