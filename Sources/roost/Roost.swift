/// The program's entry point.
@main
struct Roost {
  static func main() {}
}
