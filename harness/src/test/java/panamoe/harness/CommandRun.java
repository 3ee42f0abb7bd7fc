package panamoe.harness;

import java.io.BufferedWriter;
import java.io.PrintWriter;
import java.io.StringWriter;
import picocli.CommandLine;

/** One call of the command line with what it printed. */
public record CommandRun(int exitCode, String out, String err) {
  public static CommandRun of(String... args) {
    return of(Main.commandLine(Main.wanted(args), () -> false), args);
  }

  public static CommandRun of(CommandLine commandLine, String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int exitCode =
        commandLine
            .setOut(new PrintWriter(new BufferedWriter(out)))
            .setErr(new PrintWriter(err, true))
            .execute(args);
    return new CommandRun(exitCode, out.toString(), err.toString());
  }
}
