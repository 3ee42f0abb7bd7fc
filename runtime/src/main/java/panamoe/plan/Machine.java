package panamoe.plan;

import panamoe.io.Require;

/**
 * The machine on which a cluster's constants were measured.
 *
 * @param name host name
 * @param processor model name of the CPU
 * @param processors number that a program may use
 * @param device value of {@code --device} in the measurement
 */
public record Machine(String name, String processor, int processors, String device) {
  public Machine {
    Constant.requirePrintable("a machine's name", name);
    Constant.requirePrintable("a machine's processor", processor);
    Constant.requirePrintable("a machine's device", device);
    Require.that(processors >= 1, "a machine has %s processors, expected 1 or more", processors);
  }

  @Override
  public String toString() {
    return name + " (" + processors + " × " + processor + ")";
  }
}
