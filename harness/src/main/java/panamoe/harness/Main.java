package panamoe.harness;

import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.ServiceLoader.Provider;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.stream.Stream;
import panamoe.checkpoint.StoredType;
import panamoe.checkpoint.rows.EncodedRows;
import panamoe.comm.LauncherVariables;
import panamoe.harness.help.CommandHelp;
import panamoe.io.Spelling;
import panamoe.io.Words;
import panamoe.quantize.QuantizationFormat;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ExecutionException;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.MissingParameterException;
import picocli.CommandLine.Model.ArgSpec;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.ParseResult;
import picocli.CommandLine.RunLast;
import picocli.CommandLine.Spec;
import picocli.CommandLine.TypeConversionException;
import picocli.CommandLine.UnmatchedArgumentException;

/** The command line. Exit codes: 0 done, 1 failed, 2 usage, 130 interrupted, 141 no reader. */
@Command(
    name = "panamoe",
    versionProvider = Version.class,
    mixinStandardHelpOptions = true,
    synopsisSubcommandLabel = "COMMAND",
    description = "Trains Mixture-of-Experts language models and shows what their experts do.",
    footer = {
      "",
      "The launcher itself knows three more:",
      "  test         Runs every test, native and Java.",
      "  build        Builds the native library and all Java modules.",
      "  clean        Removes everything that was built.",
      "What is missing on this machine it installs; on a terminal it asks before.",
      "With --yes right before or after the command, or PANAMOE_YES=1 in the",
      "environment, it does not ask.",
      "",
      "Start here:",
      "  panamoe demo            trains a small model and shows what it learnt",
      "  panamoe doctor          what this machine has, and what it lacks",
      "  panamoe help COMMAND    what a command does, with examples",
      "",
      "PANAMOE_DEBUG=1 in the environment adds the stack trace to an error."
    })
public final class Main implements Callable<Integer> {
  /** The exit code of an interrupted command. */
  public static final int INTERRUPTED = Interruption.EXIT_CODE;

  /** Commands that describe all others. */
  private static final Set<Class<?>> OF_ALL =
      Set.of(CompletionCommand.class, ManualCommand.class, HelpCommand.class);

  private static final String OUTPUT_LOST =
      "cannot write to the standard output: it is closed, or its disk is full";

  private static final Duration WORD_OF_RANK_0 = Duration.ofSeconds(5);

  @Spec private CommandSpec spec;

  private Main() {}

  public static void main(String[] args) {
    StandardOutput output = new StandardOutput();
    CommandLine commandLine =
        commandLine(wanted(args), output::readerGone)
            .setOut(new PrintWriter(new OutputStreamWriter(output, System.out.charset())));
    int rank = LauncherVariables.rank().orElse(0);
    StringWriter unsaid = new StringWriter();
    if (rank != 0) {
      commandLine.setErr(new PrintWriter(unsaid, true));
    }
    int exitCode = Interruption.guard(commandLine.getErr(), () -> commandLine.execute(args));
    if (rank != 0 && exitCode != 0) {
      leaveTheWordToRank0(rank, unsaid.toString());
    }
    System.exit(exitCode);
  }

  /**
   * When all ranks fail alike, rank 0 prints the error, and a faster exit of another rank must not
   * kill rank 0 before that. So this rank waits: after rank 0's exit the launcher ends this
   * process. Otherwise only this rank has the error, and prints it.
   */
  private static void leaveTheWordToRank0(int rank, String unsaid) {
    try {
      Thread.sleep(WORD_OF_RANK_0);
      unsaid.lines().forEach(line -> System.err.println("rank " + rank + ": " + line));
    } catch (InterruptedException _) {
      // The launcher asked this process to end: stop waiting.
    }
  }

  /** The command line. Its {@code execute} returns the exit code and never throws. */
  public static CommandLine commandLine() {
    return commandLine(all(), () -> false);
  }

  /** The commands of all modules on the class path; those of other modules come before plan. */
  private static List<Class<?>> all() {
    List<Class<?>> own = new ArrayList<>();
    List<Class<?>> others = new ArrayList<>();
    ServiceLoader.load(Subcommand.class).stream()
        .map(Provider::type)
        .forEach(
            type ->
                (type.getName().startsWith(Main.class.getPackageName() + ".") ? own : others)
                    .add(type));
    own.addAll(own.stream().map(Main::name).toList().indexOf("plan"), others);
    return own;
  }

  private static String name(Class<?> type) {
    return type.getAnnotation(Command.class).name();
  }

  /** The commands that arguments can mean: reading all options takes half of the start. */
  static List<Class<?>> wanted(String... args) {
    String first = args.length == 0 ? "" : args[0];
    if (first.equals("-V") || first.equals("--version")) {
      return List.of();
    }
    List<Class<?>> all = all();
    List<Class<?>> named = all.stream().filter(type -> name(type).equals(first)).toList();
    return named.isEmpty() || OF_ALL.contains(named.getFirst()) ? all : named;
  }

  /**
   * @param readerGone whether nothing reads the output, which ends a command silently
   */
  static CommandLine commandLine(List<Class<?>> types, BooleanSupplier readerGone) {
    // picocli warns of two options that show help, --help and --help-all.
    CommandLine.tracer().setLevel(CommandLine.TraceLevel.OFF);
    CommandLine commands = new CommandLine(new Main());
    types.forEach(commands::addSubcommand);
    arguments(commands)
        .map(argument -> argument.auxiliaryTypes()[0]) // the element type of a list
        .filter(Class::isEnum)
        .forEach(type -> registerChoices(commands, type, List.of(type.getEnumConstants())));
    registerChoices(commands, QuantizationFormat.class, QuantizationFormat.all());
    registerChoices(commands, StoredType.class, EncodedRows.TYPES);
    return commands
        .registerConverter(Path.class, Main::path)
        .registerConverter(int.class, number(Integer::valueOf, "a whole number below 2^31"))
        .registerConverter(Integer.class, number(Integer::valueOf, "a whole number below 2^31"))
        .registerConverter(long.class, number(Long::valueOf, "a whole number below 2^63"))
        .registerConverter(double.class, number(Double::valueOf, "a number"))
        .registerConverter(Double.class, number(Double::valueOf, "a number"))
        .setUsageHelpAutoWidth(true)
        .setHelpFactory(CommandHelp::new)
        .setExecutionStrategy(parsed -> runCommand(parsed, readerGone))
        .setParameterExceptionHandler(Main::reportWrongUsage)
        .setExecutionExceptionHandler(
            (failure, command, _) ->
                readerGone.getAsBoolean()
                    ? StandardOutput.READER_GONE
                    : reportFailure(failure, command));
  }

  @Override
  public Integer call() {
    spec.commandLine().usage(spec.commandLine().getOut());
    return CommandLine.ExitCode.OK;
  }

  /** The options and parameters of a command and of all below it. */
  private static Stream<ArgSpec> arguments(CommandLine command) {
    return Stream.concat(
        command.getCommandSpec().args().stream(),
        command.getSubcommands().values().stream().flatMap(Main::arguments));
  }

  /** Refuses an empty path, which would mean the current folder but is probably a mistake. */
  private static Path path(String name) {
    if (name.isBlank()) {
      throw new TypeConversionException("the path is empty");
    }
    try {
      return Path.of(name);
    } catch (InvalidPathException e) {
      throw new TypeConversionException(
          Words.of(
              "'%s' is not a path in this locale's encoding, %s; LC_ALL=C.UTF-8 has all characters",
              name, System.getProperty("sun.jnu.encoding")));
    }
  }

  /** Replaces picocli's converters, whose messages name Java types. */
  private static <T> ITypeConverter<T> number(Function<String, T> parser, String what) {
    return text -> {
      try {
        return parser.apply(text);
      } catch (NumberFormatException e) {
        throw new TypeConversionException("'" + text + "' is not " + what);
      }
    };
  }

  /** Registers lower-case names as values of options of a type. */
  private static <T> void registerChoices(CommandLine commands, Class<T> type, List<?> values) {
    Map<String, T> choices = new LinkedHashMap<>();
    for (Object value : values) {
      T choice = type.cast(value);
      choices.put(choice.toString().toLowerCase(Locale.ROOT), choice);
    }
    commands.registerConverter(
        type,
        name ->
            Optional.ofNullable(choices.get(name.toLowerCase(Locale.ROOT)))
                .orElseThrow(
                    () ->
                        new TypeConversionException(
                            Words.of("'%s' is none of %s", name, choices.keySet()))));
  }

  private static int runCommand(ParseResult parsed, BooleanSupplier readerGone) {
    CommandLine command = parsed.asCommandLineList().getLast();
    try {
      int exitCode = new RunLast().execute(parsed);
      if (command.getOut().checkError()) {
        if (readerGone.getAsBoolean()) {
          return StandardOutput.READER_GONE;
        }
        command.getErr().println(command.getCommandSpec().qualifiedName() + ": " + OUTPUT_LOST);
        return CommandLine.ExitCode.SOFTWARE;
      }
      return exitCode;
    } catch (OutOfMemoryError | StackOverflowError | LinkageError e) {
      // picocli passes only exceptions to the handler below.
      throw new ExecutionException(command, e.toString(), e);
    }
  }

  private static int reportWrongUsage(ParameterException refused, String[] args) {
    CommandLine command = refused.getCommandLine();
    String name = command.getCommandSpec().qualifiedName();
    List<String> unknown =
        unknown(
            refused instanceof UnmatchedArgumentException unmatched
                ? unmatched.getUnmatched()
                : command.getUnmatchedArguments());
    StringBuilder sentence = new StringBuilder(name + ": ");
    // A misspelt option explains more than what is missing because of it.
    if (!unknown.isEmpty()
        && (refused instanceof UnmatchedArgumentException
            || refused instanceof MissingParameterException)) {
      sentence.append(firstLine(new UnmatchedArgumentException(command, unknown).getMessage()));
      Spelling.nearest(unknown.getFirst(), words(command))
          .ifPresentOrElse(
              word -> sentence.append("; did you mean ").append(word).append("?"),
              () -> {
                if (command.getParent() != null && !command.getSubcommands().isEmpty()) {
                  sentence.append("; expected one of ").append(command.getSubcommands().keySet());
                } else if (command.getCommandSpec().findOption("--prompt") != null) {
                  sentence.append("; -p TEXT gives a prompt");
                }
              });
    } else {
      sentence.append(firstLine(refused.getMessage()));
    }
    command.getErr().println(sentence + " (" + name + " --help shows what there is)");
    return CommandLine.ExitCode.USAGE;
  }

  /** The first unknown words: options only, because their values may follow them. */
  private static List<String> unknown(List<String> all) {
    boolean options = !all.isEmpty() && all.getFirst().startsWith("-");
    Stream<String> first =
        options
            ? all.stream().filter(word -> word.startsWith("-"))
            : all.stream().takeWhile(word -> !word.startsWith("-"));
    return first.map(word -> options ? word.replaceFirst("=.*", "") : word).toList();
  }

  /** The words that may follow a command: its options and subcommands. */
  private static List<String> words(CommandLine command) {
    return Stream.concat(
            command.getSubcommands().keySet().stream(),
            command.getCommandSpec().optionsMap().keySet().stream())
        .toList();
  }

  private static int reportFailure(Exception exception, CommandLine command) {
    PrintWriter err = command.getErr();
    if (Thread.currentThread().isInterrupted() || exception instanceof InterruptedException) {
      return Interruption.EXIT_CODE;
    }
    err.println(command.getCommandSpec().qualifiedName() + ": " + ErrorSentence.of(exception));
    if ("1".equals(System.getenv("PANAMOE_DEBUG"))) {
      exception.printStackTrace(err);
    }
    return CommandLine.ExitCode.SOFTWARE;
  }

  /** Removes picocli's argument index. */
  private static String firstLine(String message) {
    return message
        .lines()
        .findFirst()
        .orElse("wrong usage")
        .replaceFirst(" (at|from) index \\d+:", ":");
  }
}
