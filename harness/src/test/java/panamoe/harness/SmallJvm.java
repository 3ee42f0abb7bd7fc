package panamoe.harness;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A small JVM for code that is interrupted or killed, without the second compiler, because it runs
 * only briefly.
 */
public final class SmallJvm {
  private SmallJvm() {}

  /** The command that runs {@code main} with the tests' class path. */
  public static List<String> command(Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "-Xmx256m"));
    command.addAll(List.of("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"));
    command.addAll(
        List.of(
            "-cp",
            System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"))));
    command.add(main.getName());
    command.addAll(List.of(arguments));
    return command;
  }

  /**
   * The command with SIGINT reset: a shell starts background jobs with SIGINT ignored, and children
   * inherit that.
   */
  public static List<String> interruptible(Class<?> main, String... arguments) {
    List<String> command = new ArrayList<>(List.of("env", "--default-signal=INT"));
    command.addAll(command(main, arguments));
    return command;
  }
}
