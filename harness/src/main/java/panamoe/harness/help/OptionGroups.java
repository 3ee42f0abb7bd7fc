package panamoe.harness.help;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/** The options of a command by heading: its own first, those of every command last. */
final class OptionGroups {
  private static final String OWN = "";
  private static final String EVERY_COMMAND = "Help";

  private final Map<String, String> headings = new LinkedHashMap<>(); // by an option's longest name

  private OptionGroups() {}

  /**
   * The visible options.
   *
   * @return by heading; empty for the command's own options
   */
  static Map<String, List<OptionSpec>> of(CommandSpec command) {
    OptionGroups groups = new OptionGroups();
    groups.add(command, OWN);
    Map<String, List<OptionSpec>> options = new LinkedHashMap<>();
    options.put(OWN, new ArrayList<>());
    groups.headings.values().stream()
        .filter(heading -> !heading.equals(EVERY_COMMAND))
        .forEach(heading -> options.putIfAbsent(heading, new ArrayList<>()));
    for (OptionSpec option : command.options()) {
      if (!option.hidden()) {
        String heading = groups.headings.getOrDefault(option.longestName(), OWN);
        options.computeIfAbsent(heading, _ -> new ArrayList<>()).add(option);
      }
    }
    options.values().removeIf(List::isEmpty);
    return options;
  }

  private void add(CommandSpec holder, String heading) {
    holder
        .mixins()
        .forEach(
            (name, mixin) -> {
              OptionGroup group = mixin.userObject().getClass().getAnnotation(OptionGroup.class);
              String own =
                  group != null
                      ? group.value()
                      : name.equals("mixinStandardHelpOptions") ? EVERY_COMMAND : heading;
              mixin.options().forEach(option -> headings.put(option.longestName(), own));
              add(mixin, own);
            });
  }
}
